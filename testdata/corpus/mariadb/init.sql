CREATE DATABASE shop;
CREATE TABLE shop.item (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40), added TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
INSERT INTO shop.item (name) VALUES ('chair'), ('table');
CREATE USER 'shop'@'localhost' IDENTIFIED BY 'shop';
GRANT ALL ON shop.* TO 'shop'@'localhost';
